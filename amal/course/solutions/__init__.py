"""Right Functions as students write them, and their mutants, in the form that `amal.course.mutants` reads."""
