"""Parts of a process that know nothing of models: batching, breakers, logs, memory."""
