//! The console program: a Director's commands from a terminal or from standard input.
//!
//! Line editing, history and completion on a terminal; plain reading of scripts otherwise. What the Director answers goes to
//! standard output as it is, since scripts match it; the program's own messages go to standard error.
//!
//! Absent on purpose: knowledge of commands. The Director runs them; the console only carries text and asks it for words
//! to complete.
