//! From a user's text to windows of token ids.
