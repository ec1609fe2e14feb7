//! Compiles and runs the Rust in the pages of `docs/`, as examples of this crate's documentation, and holds tables of the pages
//! against the code. It has nothing of its own and is not published.

#[cfg(doctest)]
mod from_cognito {
    #![doc = include_str!("../from-cognito.md")]
}
