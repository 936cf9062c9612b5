"""How long lists take each way on this machine, and which way is chosen."""
