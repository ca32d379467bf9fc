//! The one place of this crate that the compiler does not check: tasks that write disjoint parts of one slice
//! at the same time, and matrix products through `gemm-f32`.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;

use crate::buffer::LINE;
use crate::parallel::for_each_with_scratch;

/// A slice whose parts different tasks write at the same time.
struct Shared<'a> {
    first: *mut f32,
    len: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer comes from a mutable borrow of `f32`s that lives as long as `Shared`; the functions of
// this module give every element to one task at most.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    fn new(slice: &'a mut [f32]) -> Self {
        Shared { first: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// # Safety
    /// No two parts that live at the same time overlap.
    unsafe fn part(&self, range: Range<usize>) -> &'a mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        // SAFETY: the range is inside the slice, and the caller keeps parts apart.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(range.start), range.len()) }
    }
}

/// Runs `task(index, part, scratch)` for every index below `count`, where `part` is `out[range(index)]`.
///
/// The ranges must follow each other without overlap, else this panics; `scratch` is divided as in
/// [`for_each_with_scratch`].
pub(crate) fn for_each_part(
    out: &mut [f32],
    count: usize,
    range: impl Fn(usize) -> Range<usize> + Sync,
    (scratch, scratch_len): (&mut [f32], usize),
    task: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    let ends: Vec<Range<usize>> = (0..count).map(&range).collect();
    assert_disjoint(&ends);
    let out = Shared::new(out);
    for_each_with_scratch(count, scratch, scratch_len, |index, scratch| {
        // SAFETY: each index runs once, and the ranges were found to be disjoint above.
        let part = unsafe { out.part(ends[index].clone()) };
        task(index, part, scratch);
    });
}

/// Asks for values that are soon read to be brought to the first-level cache, where there is an instruction for it.
pub(crate) fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(LINE / size_of::<f32>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every processor of this kind has the instruction, which does nothing that a program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// A rectangle of a row-major matrix, owned by one task: the same columns of neighbouring rows.
pub(crate) struct Columns<'a> {
    matrix: &'a Shared<'a>,
    row_len: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Columns<'_> {
    /// Columns owned.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Some columns of some rows, both counted from the first owned.
    pub(crate) fn part(&mut self, rows: Range<usize>, columns: Range<usize>) -> Columns<'_> {
        assert!(rows.end <= self.rows.len() && columns.end <= self.width(), "{rows:?} x {columns:?}");
        let moved = |range: Range<usize>, by: usize| range.start + by..range.end + by;
        let (rows, columns) = (moved(rows, self.rows.start), moved(columns, self.columns.start));
        Columns { matrix: self.matrix, row_len: self.row_len, rows, columns }
    }

    /// The owned columns of a row, counted from the first owned row.
    pub(crate) fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows.len(), "row {row} of {}", self.rows.len());
        let begin = (self.rows.start + row) * self.row_len;
        // SAFETY: only this task owns these columns, and `&mut self` keeps its rows apart in time.
        unsafe { self.matrix.part(begin + self.columns.start..begin + self.columns.end) }
    }

    /// The owned columns of `M` neighbouring rows, counted from the first owned row.
    #[inline(always)]
    pub(crate) fn neighbours<const M: usize>(&mut self, first: usize) -> [&mut [f32]; M] {
        assert!(first + M <= self.rows.len(), "{M} rows from {first} on of {}", self.rows.len());
        let begin = (self.rows.start + first) * self.row_len + self.columns.start;
        assert!(begin + (M - 1) * self.row_len + self.width() <= self.matrix.len, "rows beyond the matrix");
        let mut rows: [&mut [f32]; M] = std::array::from_fn(|_| &mut [][..]);
        for (number, row) in rows.iter_mut().enumerate() {
            // SAFETY: only this task owns these columns, `&mut self` keeps them apart in time, columns end with their
            // row, and the last row ends in the matrix by the assertion.
            *row = unsafe {
                let first = self.matrix.first.add(begin + number * self.row_len);
                std::slice::from_raw_parts_mut(first, self.columns.len())
            };
        }
        rows
    }

    /// The owned columns of the first `rows` owned rows as a matrix.
    pub(crate) fn matrix(&mut self, rows: usize) -> MatrixMut<'_> {
        let (width, rows_apart) = (self.columns.len(), self.row_len);
        let last = (self.rows.start + rows).checked_sub(1).expect("a matrix has rows");
        assert!(rows <= self.rows.len() && last * rows_apart + self.columns.end <= self.matrix.len);
        // SAFETY: the last element of the matrix is inside the slice by the assertion.
        let first = unsafe { self.matrix.first.add(self.rows.start * rows_apart + self.columns.start) };
        MatrixMut { first, rows, columns: width, rows_apart, columns_apart: 1, slice: PhantomData }
    }
}

/// Calls `visit` with the first `width` columns of a matrix whose rows begin `row_len` values after each other.
pub(crate) fn with_columns<T>(
    matrix: &mut [f32],
    row_len: usize,
    width: usize,
    visit: impl FnOnce(&mut Columns<'_>) -> T,
) -> T {
    assert!(width <= row_len, "{width} columns of {row_len}");
    let rows = 0..(matrix.len() + row_len - width) / row_len.max(1);
    let matrix = Shared::new(matrix);
    visit(&mut Columns { matrix: &matrix, row_len, rows, columns: 0..width })
}

/// Runs `task(block, columns, scratch)` for every block of `block_len` columns (the last may be narrower) of a
/// row-major matrix whose rows have `row_len` values.
pub(crate) fn for_each_column_block(
    matrix: &mut [f32],
    row_len: usize,
    block_len: usize,
    (scratch, scratch_len): (&mut [f32], usize),
    task: impl Fn(usize, Columns<'_>, &mut [f32]) + Sync,
) {
    let rows = 0..matrix.len() / row_len.max(1);
    let columns: Vec<Range<usize>> = (0..row_len.div_ceil(block_len))
        .map(|block| block * block_len..((block + 1) * block_len).min(row_len))
        .collect();
    for_each_rectangle(
        matrix,
        row_len,
        [std::slice::from_ref(&rows), &columns],
        (scratch, scratch_len),
        |[_, block], part, scratch| {
            task(block, part, scratch);
        },
    );
}

/// Runs `task([i, j], rectangle, scratch)` for every pair of a range of rows and a range of columns of a
/// row-major matrix whose rows have `row_len` values, neighbouring columns after each other.
///
/// The ranges of rows, and those of columns, must follow each other without overlap, else this panics.
pub(crate) fn for_each_rectangle(
    matrix: &mut [f32],
    row_len: usize,
    [rows, columns]: [&[Range<usize>]; 2],
    (scratch, scratch_len): (&mut [f32], usize),
    task: impl Fn([usize; 2], Columns<'_>, &mut [f32]) + Sync,
) {
    assert_disjoint(rows);
    assert_disjoint(columns);
    assert!(columns.last().is_none_or(|last| last.end <= row_len), "columns beyond the row");
    let matrix = Shared::new(matrix);
    for_each_with_scratch(rows.len() * columns.len(), scratch, scratch_len, |index, scratch| {
        let [i, j] = [index / columns.len(), index % columns.len()];
        let (rows, columns) = (rows[i].clone(), columns[j].clone());
        task([i, j], Columns { matrix: &matrix, row_len, rows, columns }, scratch);
    });
}

/// A box of a tensor `[images, channels, slices, rows, columns]`, owned by one task.
pub(crate) struct Block<'a> {
    tensor: &'a Shared<'a>,
    shape: [usize; 5],
    ranges: [Range<usize>; 5],
}

impl Block<'_> {
    /// The ranges of the axes.
    pub(crate) fn ranges(&self) -> &[Range<usize>; 5] {
        &self.ranges
    }

    /// The same columns of the same row of `N` neighbouring channels at most, at a place of the whole tensor: image,
    /// slice and row; none of channels that are not asked for.
    pub(crate) fn rows<const N: usize>(
        &mut self,
        [image, slice, row]: [usize; 3],
        channels: Range<usize>,
        columns: Range<usize>,
    ) -> [&mut [f32]; N] {
        self.side_by_side(1, [image..image + 1, channels, slice..slice + 1, row..row + 1, columns])
    }

    /// The same columns of the same channel, slice and row of `N` neighbouring images at most; none of images that are not
    /// asked for.
    pub(crate) fn images<const N: usize>(
        &mut self,
        images: Range<usize>,
        [channel, slice, row]: [usize; 3],
        columns: Range<usize>,
    ) -> [&mut [f32]; N] {
        self.side_by_side(0, [images, channel..channel + 1, slice..slice + 1, row..row + 1, columns])
    }

    /// The rows of `N` neighbours at most along an axis, of a box of one place on every other axis but the columns.
    fn side_by_side<const N: usize>(&mut self, axis: usize, asked: [Range<usize>; 5]) -> [&mut [f32]; N] {
        let (first, apart) = (self.first(&asked), self.shape[axis + 1..].iter().product::<usize>());
        let mut rows: [&mut [f32]; N] = std::array::from_fn(|_| &mut [][..]);
        for (i, to) in rows.iter_mut().enumerate().take(asked[axis].len()) {
            let begin = first + i * apart;
            // SAFETY: only this task owns this box, `&mut self` keeps what is given of it apart in time, and neighbours
            // are no shorter apart than a row.
            *to = unsafe { self.tensor.part(begin..begin + asked[4].len()) };
        }
        rows
    }

    /// A channel of an image of the whole tensor, all of it owned.
    pub(crate) fn plane(&mut self, image: usize, channel: usize) -> &mut [f32] {
        let [_, _, slices, rows, columns] = self.shape;
        let first = self.first(&[image..image + 1, channel..channel + 1, 0..slices, 0..rows, 0..columns]);
        // SAFETY: only this task owns this box, and `&mut self` keeps its planes apart in time.
        unsafe { self.tensor.part(first..first + slices * rows * columns) }
    }

    /// Where a box of the whole tensor begins, which this task must own, else this panics.
    fn first(&self, asked: &[Range<usize>; 5]) -> usize {
        let (mut first, mut owned) = (0, true);
        for ((asked, range), len) in asked.iter().zip(&self.ranges).zip(self.shape) {
            owned &= range.start <= asked.start && asked.start <= asked.end && asked.end <= range.end;
            first = first * len + asked.start;
        }
        assert!(owned, "{asked:?} is not in {:?}", self.ranges);
        first
    }
}

/// Runs `task(indices, block, scratch)` for every combination of one range an axis of a tensor of `shape`, the last
/// axis first.
///
/// The ranges of an axis must follow each other without overlap, else this panics.
pub(crate) fn for_each_block(
    tensor: &mut [f32],
    shape: [usize; 5],
    parts: &[Vec<Range<usize>>; 5],
    (scratch, scratch_len): (&mut [f32], usize),
    task: impl Fn(usize, Block<'_>, &mut [f32]) + Sync,
) {
    assert_eq!(tensor.len(), shape.iter().product::<usize>(), "a tensor of {shape:?}");
    parts.iter().for_each(|ranges| assert_disjoint(ranges));
    let tensor = Shared::new(tensor);
    let count = parts.iter().map(Vec::len).product();
    for_each_with_scratch(count, scratch, scratch_len, |index, scratch| {
        let (mut rest, mut ranges) = (index, [const { 0..0 }; 5]);
        for (range, parts) in ranges.iter_mut().zip(parts).rev() {
            *range = parts[rest % parts.len()].clone();
            rest /= parts.len();
        }
        task(index, Block { tensor: &tensor, shape, ranges }, scratch);
    });
}

/// Panics unless the ranges follow each other.
fn assert_disjoint(ranges: &[Range<usize>]) {
    let mut end = 0;
    for range in ranges {
        assert!(end <= range.start && range.start <= range.end, "parts overlap");
        end = range.end;
    }
}

/// A matrix to read: element `(i, j)` at `i * rows_apart + j * columns_apart`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    rows_apart: usize,
    columns_apart: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` values that begin `rows_apart` values after each other.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize, rows_apart: usize) -> Self {
        let end = if rows * columns == 0 { 0 } else { (rows - 1) * rows_apart + columns };
        assert!(end <= values.len(), "a matrix of {rows} x {columns} in {} values", values.len());
        Matrix { values, rows, columns, rows_apart, columns_apart: 1 }
    }

    /// Rows for columns.
    pub(crate) fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            rows_apart: self.columns_apart,
            columns_apart: self.rows_apart,
            ..self
        }
    }
}

/// A matrix to write.
pub(crate) struct MatrixMut<'a> {
    first: *mut f32,
    rows: usize,
    columns: usize,
    rows_apart: usize,
    columns_apart: usize,
    slice: PhantomData<&'a mut [f32]>,
}

impl<'a> MatrixMut<'a> {
    /// As [`Matrix::new`].
    pub(crate) fn new(values: &'a mut [f32], rows: usize, columns: usize, rows_apart: usize) -> Self {
        let Matrix { columns_apart, .. } = Matrix::new(values, rows, columns, rows_apart);
        let first = values.as_mut_ptr();
        MatrixMut { first, rows, columns, rows_apart, columns_apart, slice: PhantomData }
    }
}

/// `c = a b`, or `c += a b` where `add` is set, on the calling thread.
pub(crate) fn product(c: MatrixMut<'_>, add: bool, a: Matrix<'_>, b: Matrix<'_>) {
    assert!(a.rows == c.rows && b.columns == c.columns && a.columns == b.rows, "matrices do not match");
    // The kernels write along columns, so a row-major product is computed as its transpose, `cᵀ = bᵀ aᵀ`.
    let (a, b) = (b.transposed(), a.transposed());
    let (m, n, k) = (c.columns, c.rows, a.columns);
    let strides = |rows_apart: usize, columns_apart: usize| (rows_apart as isize, columns_apart as isize);
    let (c_rs, c_cs) = strides(c.columns_apart, c.rows_apart);
    let (a_rs, a_cs) = strides(a.rows_apart, a.columns_apart);
    let (b_rs, b_cs) = strides(b.rows_apart, b.columns_apart);
    crate::counted::multiplied(2 * m * n * k);
    let gemm = gemm_f32::gemm::f32::get_gemm_fn();
    let (a, b) = (a.values.as_ptr(), b.values.as_ptr());
    let (one, no, here) = (1.0f32, false, gemm_common::Parallelism::None);
    // SAFETY: the constructors keep every element of the three matrices inside its slice; `c` is borrowed
    // mutably, so it overlaps neither `a` nor `b`; where `add` is unset, `c` is written without being read.
    unsafe {
        gemm(m, n, k, c.first, c_cs, c_rs, add, a, a_cs, a_rs, b, b_cs, b_rs, one, one, no, no, no, here);
    }
}
