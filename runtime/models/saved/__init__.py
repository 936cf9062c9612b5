"""What was attached and learned, on disk, beside a model or apart from it. It is data: loading runs no code of it.

patternc.pat           the source text of the pattern or plan
patternc.safetensors   what each layer learned, as layers.NUMBER.NAME
patternc.json          the manifest (manifest.py), written last
"""
