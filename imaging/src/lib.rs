//! Bytes to checked pixels to the network's input; rendering for people.
