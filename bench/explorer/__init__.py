"""The explorer's pages: how long they take to make, to appear and to move."""
