"""The kiosk's pages, styles and scripts; `vendor/` holds the files of others."""
