//! Redis: the contracts of the signal, the cache and presence, and what `lobar doctor` finds.

mod contract;
mod examine;
mod outages;
