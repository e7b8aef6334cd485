"""The widgets around the transcript. They draw what they are given, and say what the user did."""
