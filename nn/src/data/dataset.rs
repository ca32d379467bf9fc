//! Labelled images of one shape in host memory.

use super::DataError;
use crate::Shape;

/// Images `N C [spatial]` as f32 with a class number each; checked when made.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    images: Vec<f32>,
    shape: Shape,
    labels: Vec<usize>,
    classes: usize,
    names: Vec<String>,
    normalisation: Vec<(f32, f32)>,
}

impl Dataset {
    /// Images of this shape, its batch being how many there are.
    ///
    /// # Errors
    /// [`DataError::Length`] or [`DataError::Label`].
    pub fn new(
        images: Vec<f32>,
        shape: Shape,
        labels: Vec<usize>,
        classes: usize,
    ) -> Result<Self, DataError> {
        let counts = [("values", shape.elements(), images.len()), ("labels", shape.batch(), labels.len())];
        if let Some((what, expected, found)) = counts.into_iter().find(|(_, a, b)| a != b) {
            return Err(DataError::Length { what, shape: shape.to_string(), expected, found });
        }
        if let Some(image) = labels.iter().position(|label| *label >= classes) {
            return Err(DataError::Label { image, classes, found: labels[image] });
        }
        let normalisation = vec![(0.0, 1.0); shape.channels()];
        Ok(Dataset { images, shape, labels, classes, names: Vec::new(), normalisation })
    }

    /// The same images with names for their classes.
    ///
    /// # Errors
    /// [`DataError::Names`] unless there is one for each class.
    pub fn with_class_names(self, names: Vec<String>) -> Result<Self, DataError> {
        match names.len() == self.classes {
            true => Ok(Dataset { names, ..self }),
            false => Err(DataError::Names { classes: self.classes, found: names.len() }),
        }
    }

    /// How many images.
    pub fn count(&self) -> usize {
        self.shape.batch()
    }

    /// The shape of all images together: `N C [spatial]`.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Names of the classes: their numbers where none were given.
    pub fn class_names(&self) -> Vec<String> {
        match self.names.is_empty() {
            true => (0..self.classes).map(|class| class.to_string()).collect(),
            false => self.names.clone(),
        }
    }

    /// What [`Dataset::normalise`] took from each channel: mean and standard deviation; 0 and 1 before.
    pub fn normalisation(&self) -> &[(f32, f32)] {
        &self.normalisation
    }

    /// Values of all images, dense and row-major.
    pub fn images(&self) -> &[f32] {
        &self.images
    }

    /// Class number of each image.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Copies the images of these numbers and their labels, in this order, over what the vectors held.
    ///
    /// # Errors
    /// [`DataError::Image`].
    pub fn gather(
        &self,
        indices: &[usize],
        images: &mut Vec<f32>,
        labels: &mut Vec<usize>,
    ) -> Result<(), DataError> {
        if let Some(found) = indices.iter().copied().find(|index| *index >= self.count()) {
            return Err(DataError::Image { images: self.count(), found });
        }
        let len = self.shape.features();
        images.clear();
        labels.clear();
        indices.iter().for_each(|&index| images.extend_from_slice(&self.images[index * len..][..len]));
        labels.extend(indices.iter().map(|&index| self.labels[index]));
        Ok(())
    }

    /// The images of these numbers as a set of their own.
    ///
    /// # Errors
    /// [`DataError::Image`], or [`DataError::Shape`] where there are no numbers.
    pub fn subset(&self, indices: &[usize]) -> Result<Self, DataError> {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        self.gather(indices, &mut images, &mut labels)?;
        let set = Dataset::new(images, self.shape.with_batch(indices.len())?, labels, self.classes)?;
        Ok(Dataset { names: self.names.clone(), normalisation: self.normalisation.clone(), ..set })
    }

    /// Mean and standard deviation of each channel, for [`Dataset::normalise`].
    pub fn statistics(&self) -> Vec<(f32, f32)> {
        let (channels, points) = (self.shape.channels(), self.shape.axes().iter().product::<usize>());
        let count = (self.count() * points) as f64;
        let maps = |channel| self.images.chunks_exact(points).skip(channel).step_by(channels).flatten();
        let channel = |channel| {
            let mean = maps(channel).map(|v| f64::from(*v)).sum::<f64>() / count;
            let square = maps(channel).map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count;
            (mean as f32, square.sqrt() as f32)
        };
        (0..channels).map(channel).collect()
    }

    /// Subtracts each channel's mean and divides by its standard deviation (where it is not 0). A test set gets
    /// the statistics of its training set.
    pub fn normalise(mut self, statistics: &[(f32, f32)]) -> Self {
        normalise(&mut self.images, self.shape.axes().iter().product(), statistics);
        self.normalisation = statistics.to_vec();
        self
    }
}

/// [`Dataset::normalise`] for images with maps of `points` values, one (mean, deviation) a channel.
pub fn normalise(images: &mut [f32], points: usize, statistics: &[(f32, f32)]) {
    let maps = images.chunks_exact_mut(points.max(1)).zip(statistics.iter().cycle());
    for (map, (mean, deviation)) in maps {
        let scale = if *deviation > 0.0 { 1.0 / deviation } else { 1.0 };
        map.iter_mut().for_each(|value| *value = (*value - mean) * scale);
    }
}

/// Both sets with the training set's mean 0 and deviation 1.
pub(super) fn normalised((train, test): (Dataset, Dataset)) -> (Dataset, Dataset) {
    let statistics = train.statistics();
    (train.normalise(&statistics), test.normalise(&statistics))
}

/// Both sets with these names for their classes.
pub(super) fn named(
    (train, test): (Dataset, Dataset),
    names: &[&str],
) -> Result<(Dataset, Dataset), DataError> {
    let names: Vec<String> = names.iter().copied().map(String::from).collect();
    Ok((train.with_class_names(names.clone())?, test.with_class_names(names)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_images() -> Dataset {
        let shape = Shape::new(&[2, 2, 2]).unwrap();
        Dataset::new(vec![1.0, 3.0, 5.0, 5.0, 1.0, 3.0, 5.0, 5.0], shape, vec![0, 2], 3).unwrap()
    }

    #[test]
    fn lengths_and_labels_are_checked() {
        let shape = Shape::new(&[2, 1, 2]).unwrap();
        let message = |values: usize, labels: &[usize]| {
            Dataset::new(vec![0.0; values], shape.clone(), labels.to_vec(), 3).unwrap_err().to_string()
        };
        assert_eq!(message(3, &[0, 1]), "values: expected 4 for a shape of (2, 1, 2), found 3");
        assert_eq!(message(4, &[0]), "labels: expected 2 for a shape of (2, 1, 2), found 1");
        assert_eq!(message(4, &[0, 3]), "label of image 1: expected a class below 3, found 3");
    }

    #[test]
    fn gathering_follows_the_order_asked_for() {
        let (mut images, mut labels) = (vec![9.0; 3], vec![9]);
        let data = two_images();
        data.gather(&[1, 0, 1], &mut images, &mut labels).unwrap();
        assert_eq!((images.len(), labels.as_slice()), (12, [2, 0, 2].as_slice()));
        let error = data.gather(&[2], &mut images, &mut labels).unwrap_err();
        assert_eq!(error, DataError::Image { images: 2, found: 2 });
    }

    #[test]
    fn normalising_is_per_channel_and_survives_a_constant_one() {
        let data = two_images();
        assert_eq!(data.statistics(), [(2.0, 1.0), (5.0, 0.0)]);
        let statistics = data.statistics();
        assert_eq!(data.normalise(&statistics).images(), [-1.0, 1.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0]);
    }
}
