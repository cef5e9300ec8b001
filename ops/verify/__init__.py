"""`ops verify`: sends a deployed stage marked events, and checks what becomes of them and how it is configured."""
