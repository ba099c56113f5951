"""The kiosk's texts, one catalogue a language."""
