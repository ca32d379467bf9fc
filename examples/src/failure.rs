//! How programs fail: the one place where errors become messages and exit codes.

use std::fmt;

use nn::data::DataError;

use crate::interrupt;

/// Most lines a message has, and most characters a line of it.
const LARGEST: (usize, usize) = (8, 240);

/// Why a program did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Bad input, with what was expected and found: exit code 2.
    Bad(String),
    /// The named algorithm refuses the problem: exit code 3.
    Refused(String),
    /// A result that a check found wrong: exit code 1.
    Wrong(String),
    /// The user wanted the program to end: exit code 130.
    Interrupted(String),
}

impl Failure {
    /// The exit code of the process.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Bad(_) => 2,
            Failure::Refused(_) => 3,
            Failure::Wrong(_) => 1,
            Failure::Interrupted(_) => interrupt::CODE,
        }
    }
}

/// Bad input: what it is about, what it should be, what it is.
pub(crate) fn expected(
    what: impl fmt::Display,
    expected: impl fmt::Display,
    found: impl fmt::Display,
) -> Failure {
    Failure::Bad(format!("{what}: expected {expected}, found {found}"))
}

impl fmt::Display for Failure {
    /// The message, cut to at most 8 lines of at most 240 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Bad(message)
        | Failure::Refused(message)
        | Failure::Wrong(message)
        | Failure::Interrupted(message)) = self;
        for (index, line) in message.trim().lines().take(LARGEST.0).enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            match line.char_indices().nth(LARGEST.1) {
                Some((cut, _)) => write!(f, "{end}{}…", &line[..cut])?,
                None => write!(f, "{end}{line}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<conv_core::Error> for Failure {
    fn from(error: conv_core::Error) -> Self {
        match error {
            conv_core::Error::Refused { .. } => Failure::Refused(error.to_string()),
            _ => Failure::Bad(error.to_string()),
        }
    }
}

impl From<nn::Error> for Failure {
    fn from(error: nn::Error) -> Self {
        let mut cause = &error;
        while let nn::Error::Layer { source, .. } = cause {
            cause = source;
        }
        match cause {
            nn::Error::Conv(conv_core::Error::Refused { .. }) => Failure::Refused(error.to_string()),
            nn::Error::NotFinite { .. } => Failure::Wrong(error.to_string()),
            _ => Failure::Bad(error.to_string()),
        }
    }
}

impl From<conv_core::ProblemError> for Failure {
    fn from(error: conv_core::ProblemError) -> Self {
        Failure::Bad(error.to_string())
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Failure::Bad(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Bad(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_to_eight_lines() {
        let message = Failure::Bad("x".repeat(10_000) + &"\ny".repeat(20)).to_string();
        assert_eq!(message.lines().count(), 8);
        assert_eq!(message.lines().next().unwrap().chars().count(), 241);
    }

    #[test]
    fn a_refusal_inside_a_layer_is_still_one() {
        let reason = conv_core::Unsupported::Geometry("stride".into());
        let problem = Box::new("n1 c1 o1 i4 k2".parse().unwrap());
        let pass = conv_core::Pass::Forward;
        let refused = conv_core::Error::Refused { algorithm: "fft", pass, problem, reason };
        let error = nn::Error::Layer { index: 0, name: "conv", source: Box::new(refused.into()) };
        assert_eq!(Failure::from(error).code(), 3);
        assert_eq!(Failure::from(conv_core::Error::Table("x".into())).code(), 2);
    }
}
