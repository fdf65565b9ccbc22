//! A regular expression as a list of steps, run as a set of states: no backtracking.

use std::mem;

use super::{
    expression::parse,
    gopath::{as_go, decode, encode},
    step::{Set, Step},
};

/// States of patterns up to this length live on the stack.
const STACK_WORDS: usize = 4;

/// A compiled expression: it matches if one of its alternatives does.
#[derive(Debug)]
pub(super) struct Program {
    alternatives: Vec<Alternative>,
}

/// Steps one after the other; state `n` means that the first `n` are behind.
#[derive(Debug)]
struct Alternative {
    steps: Vec<Step>,
    /// Literal characters at the start: a path without them need not be run.
    head: Vec<u8>,
    /// Literal characters at the end.
    tail: Vec<u8>,
}

impl Program {
    /// Compiles `expression`, given as characters.
    pub(super) fn new(expression: &[u32]) -> Result<Self, &'static str> {
        let alternatives = parse(expression)?;
        Ok(Self { alternatives: alternatives.into_iter().map(Alternative::new).collect() })
    }

    /// Whether the expression matches anywhere in `path`; it is for its `^` and `$` to forbid that.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(path))
    }
}

impl Alternative {
    fn new(mut steps: Vec<Step>) -> Self {
        if steps.first() != Some(&Step::Start) {
            steps.insert(0, Step::Star(Set::Any));
        }
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        if let [Step::Start, rest @ ..] = &steps[..] {
            literals(rest.iter()).for_each(|code| encode(code, &mut head));
        }
        if let [rest @ .., Step::End] = &steps[..] {
            // Steps that may be jumped over need not be there.
            let jumps = rest.iter().enumerate().rev();
            let mut ends = jumps.filter_map(|(at, step)| match step {
                Step::Skip(steps) => Some(at + steps),
                _ => None,
            });
            let fixed = ends.next().unwrap_or_default();
            let codes: Vec<_> = literals(rest[fixed..].iter().rev()).collect();
            codes.iter().rev().for_each(|&code| encode(code, &mut tail));
        }
        Self { steps, head, tail }
    }

    fn matches(&self, path: &[u8]) -> bool {
        if !path.starts_with(&self.head) || !path.ends_with(&self.tail) {
            return false;
        }
        let words = self.steps.len() / 64 + 1;
        if words <= STACK_WORDS {
            let mut sets = [0; 2 * STACK_WORDS];
            let (current, next) = sets.split_at_mut(STACK_WORDS);
            return self.run(path, &mut current[..words], &mut next[..words]);
        }
        let mut sets = vec![0; 2 * words];
        let (current, next) = sets.split_at_mut(words);
        self.run(path, current, next)
    }

    fn run<'s>(&self, path: &[u8], mut current: &'s mut [u64], mut next: &'s mut [u64]) -> bool {
        current[0] = 1;
        let (mut rest, mut before) = (path, None);
        loop {
            let here = decode(rest);
            if self.advance(current, next, before, here.map(|(code, _)| code)) {
                return true;
            }
            let Some((code, len)) = here else { return false };
            if next.iter().all(|&word| word == 0) {
                return false;
            }
            (before, rest) = (Some(code), &rest[len..]);
            mem::swap(&mut current, &mut next);
            next.fill(0);
        }
    }

    /// Moves every state over the character `here`; true once the last step is behind.
    ///
    /// Steps only lead forward, so one pass in rising order also follows those that take no
    /// character.
    fn advance(
        &self,
        current: &mut [u64],
        next: &mut [u64],
        before: Option<u32>,
        here: Option<u32>,
    ) -> bool {
        for word in 0..current.len() {
            let mut done = 0;
            loop {
                let todo = current[word] & !done;
                if todo == 0 {
                    break;
                }
                let bit = todo.trailing_zeros() as usize;
                done |= 1 << bit;
                let state = word * 64 + bit;
                let Some(step) = self.steps.get(state) else { return true };
                match step {
                    Step::One(set) => {
                        if here.is_some_and(|code| set.contains(code)) {
                            add(next, state + 1);
                        }
                    }
                    Step::Star(set) => {
                        add(current, state + 1);
                        if here.is_some_and(|code| set.contains(code)) {
                            add(next, state);
                        }
                    }
                    Step::Skip(steps) => {
                        add(current, state + 1);
                        add(current, state + steps);
                    }
                    Step::Start if before.is_none() => add(current, state + 1),
                    Step::End if here.is_none() => add(current, state + 1),
                    Step::WordEdge(wanted) if (is_word(before) != is_word(here)) == *wanted => {
                        add(current, state + 1);
                    }
                    Step::Start | Step::End | Step::WordEdge(_) => {}
                }
            }
        }
        false
    }
}

fn add(set: &mut [u64], state: usize) {
    set[state / 64] |= 1 << (state % 64);
}

fn is_word(code: Option<u32>) -> bool {
    code.and_then(char::from_u32).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The literal characters that `steps` begin with. Go's U+FFFD stands for any stray byte, so it is
/// none.
fn literals<'s>(steps: impl Iterator<Item = &'s Step>) -> impl Iterator<Item = u32> {
    steps.map_while(|step| match step {
        Step::One(Set::Literal(code)) if *code != as_go(u32::MAX) => Some(*code),
        _ => None,
    })
}
