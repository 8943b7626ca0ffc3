"""The command line and its demo. Reads public functions; nobody else imports it."""
