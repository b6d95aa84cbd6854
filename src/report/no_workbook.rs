//! In the place of the workbook where the feature `xlsx` is off: there is never a sheet to fill.

use super::folder::{Folder, OutputError};
use super::sweep::{Copied, SweepTables};
use std::marker::PhantomData;

/// No workbook.
pub(super) struct Book<'a>(PhantomData<Copied<'a>>);

/// A sheet of it: there is none.
pub(super) enum Page {}

/// Rows of a sheet: there are none.
pub(super) enum Rows {}

/// Rows packed: there are none.
pub(super) enum Piece {}

impl<'a> Book<'a> {
    pub(super) fn begin(_: &Folder, _: &str, _: &SweepTables<'_>, _: &[Copied<'a>]) -> Result<Book<'a>, OutputError> {
        Ok(Book(PhantomData))
    }

    pub(super) fn turn(&mut self, _: usize) -> Result<Option<Page>, OutputError> {
        Ok(None)
    }

    pub(super) fn add(&mut self, piece: &Piece) -> Result<(), OutputError> {
        match *piece {}
    }

    pub(super) fn leave(&mut self, page: &Page) -> Result<(), OutputError> {
        match *page {}
    }

    pub(super) fn close(self) -> Result<(), OutputError> {
        Ok(())
    }
}

impl Page {
    pub(super) fn rows(&self, _: usize) -> Rows {
        match *self {}
    }
}

impl Rows {
    pub(super) fn add(&mut self, _: &[String]) {
        match *self {}
    }

    pub(super) fn pack(self) -> Piece {
        match self {}
    }
}
