"""What local web pages share: the socket, who may ask, templates, and a model in a process of its own."""
