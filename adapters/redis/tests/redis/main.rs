//! Redis: the contracts of the signal, the cache and the roster, and what `lobar doctor` finds.

mod absence;
mod contract;
mod examine;
