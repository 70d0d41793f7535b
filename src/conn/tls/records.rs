//! [`Records`]: whether a stream of TLS ends between two records.

/// The type, the version and the length.
const HEAD: usize = 5;

/// Follows the records of a stream by their lengths alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Records {
    head: [u8; HEAD],
    /// How much of the head is here.
    filled: usize,
    /// How much of the record behind its head is still to come.
    left: usize,
}

impl Records {
    /// These bytes have come.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filled == HEAD {
                let n = self.left.min(bytes.len());
                bytes = &bytes[n..];
                self.left -= n;
            } else {
                let n = (HEAD - self.filled).min(bytes.len());
                self.head[self.filled..self.filled + n].copy_from_slice(&bytes[..n]);
                bytes = &bytes[n..];
                self.filled += n;
                if self.filled == HEAD {
                    self.left = usize::from(u16::from_be_bytes([self.head[3], self.head[4]]));
                }
            }
            if self.filled == HEAD && self.left == 0 {
                self.filled = 0;
            }
        }
    }

    /// Whether no record has come in part.
    pub(super) fn is_between(&self) -> bool {
        self.filled == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_between_two_records_only_where_one_has_ended() {
        let stream = [23, 3, 3, 0, 2, 1, 2, 21, 3, 3, 0, 0, 22, 3, 3, 1, 0];
        let ends = [7, 12];
        for cut in 1..=stream.len() {
            let mut whole = Records::default();
            whole.pass(&stream[..cut]);
            let mut bytewise = Records::default();
            stream[..cut].iter().for_each(|byte| bytewise.pass(&[*byte]));
            assert_eq!(whole.is_between(), ends.contains(&cut), "at {cut}");
            assert_eq!(bytewise.is_between(), whole.is_between(), "at {cut}");
        }
        assert!(Records::default().is_between());
    }

    #[test]
    fn a_record_of_the_greatest_length_ends_where_it_does() {
        let mut records = Records::default();
        records.pass(&[23, 3, 3, 255, 255]);
        records.pass(&[0; 65_534]);
        assert!(!records.is_between());
        records.pass(&[0]);
        assert!(records.is_between());
    }
}
