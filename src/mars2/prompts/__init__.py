"""Text in, text out: what agents are told, and the program found in what they answer."""

from mars2.prompts.extract import extract_code, extract_program
from mars2.prompts.feedback import feedback
from mars2.prompts.templates import build_prompt

__all__ = ["build_prompt", "extract_code", "extract_program", "feedback"]
