"""The API that programs use: OpenAI's routes under /v1, our own under /api."""
