//! Seeded mutations for the unit tests of every parser of foreign bytes: the same inputs in every run.

use std::{fs, path::Path};

/// Numbers that look random and are the same in every run (xorshift).
pub(crate) struct Random(u64);

impl Random {
    /// Another series for each seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `limit`, which counts as 1 if it is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit.max(1)
    }
}

/// Calls `target` with `seed` and `rounds` mutations of it: `tokens` put in or over bytes, odd bytes, cuts.
pub(crate) fn mutate(seed: &[u8], tokens: &[u8], rounds: usize, target: impl Fn(&[u8])) {
    target(seed);
    let mut random = Random::new(seed.len() as u64);
    for _ in 0..rounds {
        let mut bytes = seed.to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len() + 1);
            let token = tokens.get(random.below(tokens.len() + 2)).copied();
            let byte = token.unwrap_or_else(|| random.below(256) as u8);
            match random.below(8) {
                0..=2 => bytes.insert(at, byte),
                3..=6 if at < bytes.len() => bytes[at] = byte,
                _ => bytes.truncate(at),
            }
        }
        target(&bytes);
    }
}

/// The same for every file of `tests/corpus/<name>`.
pub(crate) fn mutate_corpus(name: &str, tokens: &[u8], rounds: usize, target: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let seeds: Vec<_> =
        fs::read_dir(corpus).unwrap().map(|e| fs::read(e.unwrap().path()).unwrap()).collect();
    assert!(seeds.len() >= 4, "the corpus `{name}` should be there");
    for seed in seeds {
        mutate(&seed, tokens, rounds, &target);
    }
}
