"""How much a token, or a block, is wanted: by a learned predictor, by means, or by chance as a control."""
