"""How much an update keeps, and from which size on something is worth the trouble.

Apart from the code that goes by them, and without torch, so that `mars2 plan` reckons with the
same numbers.
"""

# With activation_checkpointing = "auto", layers keep what they compute within this part of what
# weights, gradients and moments take, and within 128 MB anyway.
ROOM, LEAST_ROOM = 16, 128 << 20
# Learners that hold less do not care for the heap: pages given back cost time to get again.
CARES = 256 << 20
# Elements of a matrix: below 16 MB a gradient is not worth adding where it is kept.
LARGE = 1 << 22
# Logits held at a time: 16 MB in float32.
CHUNK_ELEMENTS = 1 << 22
