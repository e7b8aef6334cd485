"""The OpenAI Agents SDK's own tests of sessions, run on sessions of Palaver's."""
