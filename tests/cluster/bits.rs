//! A set of small numbers.

/// Equal sets are equal bits: no zero words at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bits(Vec<u64>);

impl Bits {
    pub fn has(&self, i: usize) -> bool {
        self.0.get(i / 64).is_some_and(|word| word >> (i % 64) & 1 == 1)
    }

    pub fn set(&mut self, i: usize) {
        if self.0.len() <= i / 64 {
            self.0.resize(i / 64 + 1, 0);
        }
        self.0[i / 64] |= 1 << (i % 64);
    }

    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Takes the unbroken run that begins at 0 away and moves the rest there; how long it was.
    pub fn drop_leading_ones(&mut self) -> usize {
        let whole = self.0.iter().take_while(|word| **word == u64::MAX).count();
        self.0.drain(..whole);
        let ones = self.0.first().map_or(0, |word| word.trailing_ones());
        if ones > 0 {
            let mut carry = 0;
            for word in self.0.iter_mut().rev() {
                let low = *word << (64 - ones);
                *word = *word >> ones | carry;
                carry = low;
            }
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        whole * 64 + ones as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_forgets_the_run_that_it_begins_with() {
        let of = |numbers: &[usize]| {
            let mut bits = Bits::default();
            numbers.iter().for_each(|i| bits.set(*i));
            bits
        };
        for (numbers, run, left) in [
            (vec![], 0, of(&[])),
            (vec![1, 70], 0, of(&[1, 70])),
            (vec![0], 1, of(&[])),
            (vec![0, 1, 3, 64, 130], 2, of(&[1, 62, 128])),
            ((0..64).collect(), 64, of(&[])),
            ((0..130).chain([140]).collect(), 130, of(&[10])),
        ] {
            let mut bits = of(&numbers);
            assert_eq!((bits.drop_leading_ones(), &bits), (run, &left), "{numbers:?}");
        }
    }
}
