"""JupyterLab's line to the kernel, without waiting for small packets to be acknowledged."""

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class PromptLine(ZMQChannelsWebsocketConnection):
    """Sends every message at once (TCP_NODELAY).

    A kernel says "busy" before it answers and "idle" after. Unless this is set, the answer may wait
    until the browser has acknowledged what came before, which takes up to 40 ms.
    """

    def connect(self):
        """Open the line."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()
