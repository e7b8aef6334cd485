"""The commands about sessions, profiles and configuration."""
