"""Policies that vLLM answers for, in a server process of its own (docs/vllm.md)."""
