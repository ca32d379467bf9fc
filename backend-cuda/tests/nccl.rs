//! Sums by NCCL: of one rank on a GPU, and what is said where the library is not there.

#![cfg(feature = "nccl")]

mod common;

use backend_cuda::{Buffer, Cuda};
use conv_core::{Backend, Ranks, Result};

/// One rank that needs no others, and what it has summed before NCCL does.
struct Alone(Vec<f32>);

impl Ranks<Cuda> for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn begin_sum(&mut self, cuda: &Cuda, values: &Buffer, _: f32) -> Result<()> {
        self.0 = vec![0.0; values.len()];
        cuda.download(values, &mut self.0)
    }

    fn end_sum(&mut self, cuda: &Cuda, _: f32, sum: &mut Buffer) -> Result<()> {
        cuda.upload(&self.0, sum)
    }

    fn broadcast(&mut self, _: &Cuda, _: &mut Buffer) -> Result<()> {
        Ok(())
    }

    fn abort(&mut self, _: u8) {}
}

#[test]
fn sums_of_one_rank_are_its_values_in_their_order() {
    let Some(cuda) = common::gpu() else { return };
    let mut ranks = match cuda.connect(Box::new(Alone(Vec::new()))) {
        Ok(ranks) => ranks,
        Err(error) => {
            assert!(error.to_string().contains("libnccl.so was not found"), "{error}");
            return eprintln!("SKIPPED: {error}");
        }
    };
    assert_eq!((ranks.rank(), ranks.size()), (0, 1));
    let uploaded = |values: &[f32]| {
        let mut buffer = cuda.alloc(values.len()).unwrap();
        cuda.upload(values, &mut buffer).unwrap();
        buffer
    };
    let (mut first, mut second) = (uploaded(&[1.0, 2.0, 3.0]), uploaded(&[f32::NAN; 5]));
    for _ in 0..3 {
        ranks.begin_sum(&cuda, &first, 4.0).unwrap();
        ranks.begin_sum(&cuda, &second, 0.0).unwrap();
        ranks.end_sum(&cuda, 0.25, &mut first).unwrap();
        ranks.end_sum(&cuda, 1.0, &mut second).unwrap();
    }
    let (mut three, mut five) = ([0.0; 3], [1.0; 5]);
    cuda.download(&first, &mut three).unwrap();
    cuda.download(&second, &mut five).unwrap();
    assert_eq!((three, five), ([1.0, 2.0, 3.0], [0.0; 5]));
    let none = ranks.end_sum(&cuda, 1.0, &mut first).unwrap_err().to_string();
    assert_eq!(none, "ranks: expected a sum that was begun, found none");
}
