"""AI clients (agents) over the Model Context Protocol: what they may call, how much, what they did, and how
it is taken back. docs/agents.md describes it."""
