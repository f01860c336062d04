"""Calls to begin with, as the documentation and the Settings tab show them."""

CURL = """curl {server}/v1/chat/completions \\
  -H "Authorization: Bearer $EASYTUNE_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "demo", "messages": [{{"role": "user", "content": "Hello"}}]}}'"""

PYTHON = """from openai import OpenAI

client = OpenAI(base_url="{server}/v1", api_key="et-...")
stream = client.chat.completions.create(
    model="demo",
    messages=[{{"role": "user", "content": "Hello"}}],
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)"""

COMPARE = """curl -N {server}/api/compare \\
  -H "Authorization: Bearer $EASYTUNE_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"prompt": "Hello", "columns": [{{"model": "demo"}}, {{"model": "my-run@50"}}]}}'"""

UPLOAD = """curl {server}/api/datasets \\
  -H "Authorization: Bearer $EASYTUNE_KEY" \\
  -F title="House style" -F file=@rows.jsonl"""

EXAMPLES = (("curl", CURL), ("python", PYTHON), ("compare", COMPARE), ("upload", UPLOAD))
FAILED = {
    "error": {
        "message": "There is no model, adapter or checkpoint named tiny. ...",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
}
