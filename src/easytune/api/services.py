"""What the API is given to answer with."""

from dataclasses import dataclass

from easytune.services.chat import Chat
from easytune.services.conversations import Conversations


@dataclass(frozen=True)
class Services:
    """The services behind the API: the page uses the same ones."""

    chat: Chat
    conversations: Conversations
