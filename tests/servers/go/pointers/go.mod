module pointers

go 1.17
