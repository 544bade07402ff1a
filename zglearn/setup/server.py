"""What the course changes in Jupyter's server: `python -m zglearn lab` starts it with these."""

import sys

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

# As the kernel describes itself.
PYTHON = {"name": "python", "version": sys.version.split()[0], "mimetype": "text/x-python",
          "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
          "pygments_lexer": "ipython3", "nbconvert_exporter": "python", "file_extension": ".py"}


class PromptLine(ZMQChannelsWebsocketConnection):
    """JupyterLab's line to the kernel, without waiting for small packets to be acknowledged.

    A kernel says "busy" before it answers and "idle" after. Unless every message is sent at once
    (TCP_NODELAY), the answer may wait until the browser has acknowledged what came before, which
    takes up to 40 ms.
    """

    def connect(self):
        """Open the line."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()


class Notebooks(AsyncLargeFileManager):
    """Hands out a notebook with this Python's description in it.

    JupyterLab writes into every notebook what the kernel says of itself, its exact version
    included: where the file says anything else, a notebook is unsaved as soon as it is opened.
    """

    async def get(self, path, content=True, **options):
        """The file at `path`, as Jupyter's contents service describes it."""
        model = await super().get(path, content, **options)
        if content and model["type"] == "notebook":
            metadata = model["content"]["metadata"]
            if metadata.get("kernelspec", {}).get("name") == "python3":
                metadata["language_info"] = PYTHON
        return model
