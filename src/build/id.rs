//! Names that nobody else has.

/// Letters and digits enough for an identity nobody else has (BuildKit uses 25 of them as well).
pub(super) fn unique_id() -> String {
    let mut bytes = [0_u8; 25];
    // Blocks only in the first moments of a machine's life.
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    debug_assert_eq!(filled, Ok(bytes.len()));
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    bytes.iter().map(|b| char::from(LETTERS[usize::from(b % 32)])).collect()
}
