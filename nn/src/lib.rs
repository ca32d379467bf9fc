//! Layers, losses, optimizers and data for convolutional networks, generic over the backend.
//!
//! A network is a [`Sequential`] chain of [`Layer`]s. All convolutions go through one [`conv_core::Engine`], which
//! chooses their algorithms and lends one workspace; everything else is an operation of [`conv_core::Ops`].
//!
//! ```no_run
//! # fn train<B: conv_core::Ops>(backend: B, images: &[f32], labels: &[usize]) -> nn::Result<()> {
//! use nn::{Layer, Sgd, Shape, Trainer, Wanted, models};
//!
//! let mut engine = conv_core::Engine::new(backend)?;
//! let network = models::lenet(engine.backend(), 3, 10, 1)?;
//! let mut trainer = Trainer::new(network, Sgd::new(0.01, 0.9, 0.0)?);
//! let shape = Shape::new(&[128, 3, 32, 32])?;
//! trainer.network_mut().prepare(&mut engine, &shape, Wanted::Parameters)?;
//! println!("{}", trainer.network().summary(&shape)?);
//! for step in 0..100 {
//!     let score = trainer.step(&mut engine, &shape, images, labels)?;
//!     println!("step {step}: loss {:.4}, accuracy {:.1} %", score.loss(), 100.0 * score.accuracy());
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod adam;
mod batch_norm;
mod border;
pub mod checkpoint;
mod conv;
mod conv_transpose;
pub mod data;
mod dropout;
mod error;
mod finite;
mod flatten;
mod global_pool;
mod layer;
mod linear;
mod loss;
pub mod models;
mod optimizer;
mod options;
pub mod parallel;
mod parameter;
mod pool;
mod relu;
mod schedule;
mod sequential;
mod sgd;
mod shape;
mod spectral_conv;
pub mod state_dict;
mod statistics;
mod sum;
mod summary;
mod tape;
mod train;
mod weights;

pub use adam::Adam;
pub use batch_norm::BatchNorm;
pub use conv::{Conv, Conv1d, Conv2d, Conv3d};
pub use conv_core::ops::PadMode;
pub use conv_transpose::{ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
pub use dropout::Dropout;
pub use error::{Error, Result};
pub use flatten::Flatten;
pub use global_pool::GlobalAveragePool;
pub use layer::{Backward, Layer, Mode, Wanted};
pub use linear::Linear;
pub use loss::{CrossEntropy, Score};
pub use optimizer::{Optimizer, Update};
pub use options::ConvOptions;
pub use parameter::Parameter;
pub use pool::Pool;
pub use relu::Relu;
pub use schedule::{Decay, Schedule};
pub use sequential::Sequential;
pub use sgd::Sgd;
pub use shape::Shape;
pub use spectral_conv::{SpectralConv, SpectralConv1d, SpectralConv2d, SpectralConv3d};
pub use statistics::Statistics;
pub use sum::Sum;
pub use summary::{Row, Summary};
pub use train::{Trainer, shuffled};
