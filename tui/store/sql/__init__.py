"""The SQL of the history, by subject: functions of a connection, for the store's thread."""
