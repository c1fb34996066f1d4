//! The shared object that pmsocks loads into the program that it runs.
