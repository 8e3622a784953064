//! The set of operations that have taken effect, in few bits.
//!
//! Operations with an end take effect nearly in the order of their beginnings: all up to some
//! place, and a few after it. So a set is kept for comparison as that place and the bits after it.
//! Operations without an end may lag behind for ever, and have bits of their own.

/// A set of operations.
#[derive(Debug)]
pub(super) struct Lifted {
    /// By operation: its bit.
    bits: Vec<usize>,
    /// Bits of the operations without an end come first.
    words: Vec<u64>,
    /// How many words they take.
    endless_words: usize,
    /// No bit of the others is absent before this one.
    first_absent: usize,
    /// No bit is present at this one or after it.
    end: usize,
}

/// A set of operations and the state after them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Configuration<S> {
    first_absent: usize,
    /// The 64 bits from there.
    window: u64,
    /// The bits of operations without an end, and those after the window; mostly none.
    rest: Box<[u64]>,
    state: S,
}

impl Lifted {
    /// Nothing is lifted; `has_end` tells of each operation whether it has an end.
    pub(super) fn new(has_end: impl Iterator<Item = bool> + Clone) -> Self {
        let endless_count = has_end.clone().filter(|has_end| !has_end).count();
        let endless_words = endless_count.div_ceil(64);
        let (mut endless, mut ended) = (0, 64 * endless_words);
        let bits: Vec<usize> = has_end
            .map(|has_end| {
                let next = if has_end { &mut ended } else { &mut endless };
                *next += 1;
                *next - 1
            })
            .collect();
        Self {
            bits,
            words: vec![0; ended.div_ceil(64) + 1],
            endless_words,
            first_absent: 64 * endless_words,
            end: 64 * endless_words,
        }
    }

    pub(super) fn insert(&mut self, index: usize) {
        let bit = self.bits[index];
        self.words[bit / 64] |= 1 << (bit % 64);
        self.end = self.end.max(bit + 1);
        while self.words[self.first_absent / 64] >> (self.first_absent % 64) & 1 == 1 {
            self.first_absent += 1;
        }
    }

    pub(super) fn remove(&mut self, index: usize) {
        let bit = self.bits[index];
        self.words[bit / 64] &= !(1 << (bit % 64));
        if bit >= 64 * self.endless_words {
            self.first_absent = self.first_absent.min(bit);
        }
        while self.end > self.first_absent
            && self.words[(self.end - 1) / 64] >> ((self.end - 1) % 64) & 1 == 0
        {
            self.end -= 1;
        }
    }

    /// This set, with the state after it.
    pub(super) fn configuration<S: Clone>(&self, state: &S) -> Configuration<S> {
        let endless = self.words[..self.endless_words].iter().copied();
        let after = (self.first_absent + 64..self.end)
            .step_by(64)
            .map(|bit| self.word_from(bit));
        Configuration {
            first_absent: self.first_absent,
            window: self.word_from(self.first_absent),
            rest: endless.chain(after).collect(),
            state: state.clone(),
        }
    }

    /// The 64 bits from one on.
    fn word_from(&self, bit: usize) -> u64 {
        let (word, shift) = (bit / 64, bit % 64);
        let low = self.words[word] >> shift;
        let high = self.words.get(word + 1).copied().unwrap_or(0);
        if shift == 0 {
            low
        } else {
            low | high << (64 - shift)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_is_one_configuration_however_it_came_about() {
        let has_end = (0..300).map(|index| index % 7 != 3);
        let mut one = Lifted::new(has_end.clone());
        let mut other = Lifted::new(has_end);
        for index in 0..300 {
            one.insert(index);
            if index % 3 == 0 {
                other.insert(299 - index);
            }
        }
        assert_ne!(one.configuration(&0), other.configuration(&0));
        for index in (0..300).rev() {
            other.insert(index);
        }
        assert_eq!(one.configuration(&0), other.configuration(&0));
        assert_ne!(one.configuration(&0), one.configuration(&1));
        for index in [250, 10, 3] {
            one.remove(index);
            assert_ne!(one.configuration(&0), other.configuration(&0));
        }
        for index in [3, 250, 10] {
            other.remove(index);
        }
        assert_eq!(one.configuration(&0), other.configuration(&0));
        for index in 0..300 {
            one.remove(index);
        }
        assert_eq!(
            one.configuration(&0),
            Lifted::new((0..300).map(|index| index % 7 != 3)).configuration(&0)
        );
    }
}
