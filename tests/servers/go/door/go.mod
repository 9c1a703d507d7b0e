module door

go 1.17
