//! Published files over HTTP: resumed where a transfer broke off, checked by length and SHA-256.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::Response;

use super::DataError;
use super::files::bad;

/// Transfers in a row that bring nothing new before it is given up.
const PATIENCE: u32 = 3;

/// Bytes between two reports of progress.
const CHUNK: usize = 1 << 16;

/// A file at an address, and how to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it is.
    pub url: Cow<'static, str>,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal digits.
    pub sha256: Cow<'static, str>,
}

const fn remote(url: &'static str, bytes: u64, sha256: &'static str) -> Remote {
    Remote { url: Cow::Borrowed(url), bytes, sha256: Cow::Borrowed(sha256) }
}

/// CIFAR-10's binary archive, as [`super::cifar10`] reads it.
pub static CIFAR10: [Remote; 1] = [remote(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)];

/// CIFAR-100's binary archive, as [`super::cifar100`] reads it.
pub static CIFAR100: [Remote; 1] = [remote(
    "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    168_513_733,
    "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
)];

/// MNIST's four files, as [`super::mnist`] reads them, from PyTorch's mirror: the first address has closed.
pub static MNIST: [Remote; 4] = [
    remote(
        "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    remote(
        "https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    remote(
        "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    remote(
        "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
];

/// Fashion-MNIST's four files, as [`super::fashion_mnist`] reads them.
pub static FASHION_MNIST: [Remote; 4] = [
    remote(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-images-idx3-ubyte.gz",
        26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    remote(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-labels-idx1-ubyte.gz",
        29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    remote(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-images-idx3-ubyte.gz",
        4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    remote(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-labels-idx1-ubyte.gz",
        5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
];

impl Remote {
    /// The last part of its address.
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// The same file, known by the same hash, in a folder at another address.
    pub fn mirrored(&self, folder: &str) -> Self {
        Remote { url: format!("{}/{}", folder.trim_end_matches('/'), self.name()).into(), ..self.clone() }
    }

    /// Fetches the file into `folder` under its name, unless it is there; returns its path. What has come so far
    /// is kept in `NAME.part` and gone on with, now or by the next call. `progress` hears how many bytes there are.
    ///
    /// # Errors
    /// [`DataError::Download`] where the address cannot be reached, answers with an error, sends too much, stops
    /// sending, or sends another file than the one published (nothing is kept then); [`DataError::File`] where the
    /// file cannot be written, or another one is in its place.
    pub fn fetch(&self, folder: &Path, mut progress: impl FnMut(u64)) -> Result<PathBuf, DataError> {
        let path = folder.join(self.name());
        if path.exists() {
            let found = sha256(&path)?;
            return match found == self.sha256 {
                true => Ok(path),
                false => Err(bad(&path, format!("expected SHA-256 {}, found {found}", self.sha256))),
            };
        }
        std::fs::create_dir_all(folder).map_err(|error| bad(folder, error.to_string()))?;
        let part = folder.join(format!("{}.part", self.name()));
        // What an earlier call left may be of another file: a page that asks for a password.
        let resumed = part.exists();
        match self.filled(&part, &mut progress) {
            Err(_) if resumed && !part.exists() => self.filled(&part, &mut progress)?,
            done => done?,
        }
        std::fs::rename(&part, &path).map_err(|error| bad(&path, error.to_string()))?;
        Ok(path)
    }

    /// Transfers until the part is the whole file; one with another hash is removed.
    fn filled(&self, part: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), DataError> {
        self.fill(part, progress)?;
        let found = sha256(part)?;
        if found == self.sha256 {
            return Ok(());
        }
        std::fs::remove_file(part).map_err(|error| bad(part, error.to_string()))?;
        Err(self.failed(format!("expected SHA-256 {}, found {found}", self.sha256)))
    }

    /// Transfers until the part has its length.
    fn fill(&self, part: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), DataError> {
        let io = |error: std::io::Error| bad(part, error.to_string());
        let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(io)?;
        let agent: Agent = Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut idle = 0;
        loop {
            let before = file.metadata().map_err(io)?.len();
            if before == self.bytes {
                return Ok(());
            }
            if before > self.bytes {
                file.set_len(0).map_err(io)?;
                return Err(self.failed(format!("expected {} bytes, found more", self.bytes)));
            }
            let reason = match self.transfer(&agent, &mut file, before, progress) {
                Ok(()) => "the connection closed".to_string(),
                Err(Stop::Broken(reason)) => reason,
                Err(Stop::Disk(error)) => return Err(io(error)),
            };
            let after = file.metadata().map_err(io)?.len();
            idle = if after > before { 0 } else { idle + 1 };
            if idle == PATIENCE {
                return Err(self.failed(format!("expected {} bytes, found {after}: {reason}", self.bytes)));
            }
        }
    }

    /// One answer of the server, added to the `have` bytes of the file; at most one byte too many.
    fn transfer(
        &self,
        agent: &Agent,
        file: &mut File,
        have: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Stop> {
        let mut request = agent.get(&*self.url);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let mut response = request.call().map_err(|error| Stop::Broken(error.to_string()))?;
        let mut done = have;
        if have > 0 && begins_at(&response) != Some(have) {
            file.set_len(0).map_err(Stop::Disk)?;
            done = 0;
        }
        let left = self.bytes - done + 1;
        let mut body = response.body_mut().as_reader().take(left);
        let mut chunk = vec![0; CHUNK];
        loop {
            progress(done.min(self.bytes));
            let len = body.read(&mut chunk).map_err(|error| Stop::Broken(error.to_string()))?;
            if len == 0 {
                return Ok(());
            }
            file.write_all(&chunk[..len]).map_err(Stop::Disk)?;
            done += len as u64;
        }
    }

    fn failed(&self, reason: String) -> DataError {
        DataError::Download { url: self.url.to_string(), reason }
    }
}

/// Why a transfer ended before its end.
enum Stop {
    /// The other side; worth trying again.
    Broken(String),
    /// This side.
    Disk(std::io::Error),
}

/// Where a partial answer begins in the whole file: `Content-Range: bytes 10-99/100`.
fn begins_at<T>(response: &Response<T>) -> Option<u64> {
    let range = response.headers().get("content-range").filter(|_| response.status() == 206)?;
    range.to_str().ok()?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn sha256(path: &Path) -> Result<String, DataError> {
    let io = |error: std::io::Error| bad(path, error.to_string());
    let mut file = File::open(path).map_err(io)?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(io)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
