//! Faults that any process may meet, and what must hold once things are quiet: every image that was
//! acknowledged has ended, once, as it should.

mod crashes;
mod errors;
mod rejections;
