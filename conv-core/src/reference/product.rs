//! A safe view of `matrixmultiply::dgemm`, the one place of this crate that is not checked by the compiler.
#![allow(unsafe_code)]

/// A row-major or transposed matrix in a slice: element `(i, j)` at `i * rows_apart + j * columns_apart`.
#[derive(Clone, Copy)]
pub(super) struct Strides {
    pub(super) rows_apart: usize,
    pub(super) columns_apart: usize,
}

impl Strides {
    /// Rows of `width` values behind each other.
    pub(super) fn rows(width: usize) -> Self {
        Strides { rows_apart: width, columns_apart: 1 }
    }

    /// The transpose of [`Strides::rows`].
    pub(super) fn columns(width: usize) -> Self {
        Strides { rows_apart: 1, columns_apart: width }
    }

    fn end(self, rows: usize, columns: usize) -> usize {
        (rows - 1) * self.rows_apart + (columns - 1) * self.columns_apart + 1
    }
}

/// `c += a b` for an `m × k` matrix `a`, a `k × n` matrix `b` and an `m × n` matrix `c`.
pub(super) fn add_product(
    [m, k, n]: [usize; 3],
    (a, sa): (&[f64], Strides),
    (b, sb): (&[f64], Strides),
    (c, sc): (&mut [f64], Strides),
) {
    if m == 0 || k == 0 || n == 0 {
        return;
    }
    assert!(sa.end(m, k) <= a.len() && sb.end(k, n) <= b.len() && sc.end(m, n) <= c.len());
    let signed = |s: Strides| (s.rows_apart as isize, s.columns_apart as isize);
    let ((ra, ca), (rb, cb), (rc, cc)) = (signed(sa), signed(sb), signed(sc));
    // SAFETY: the assertion above keeps every element of the three matrices inside its slice, and `c` is
    // borrowed mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        matrixmultiply::dgemm(
            m,
            k,
            n,
            1.0,
            a.as_ptr(),
            ra,
            ca,
            b.as_ptr(),
            rb,
            cb,
            1.0,
            c.as_mut_ptr(),
            rc,
            cc,
        );
    }
}
