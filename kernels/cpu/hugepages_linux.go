package cpu

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a large page of the usual processors.
const hugePage = 2 << 20

// hugePages is n zeros, which the system is asked to put into large pages if
// they are many: records are read in random order, weights in long strides, and
// looking up small pages costs as much as reading them.
func hugePages[T byte | float32](n int) []T {
	size := int(unsafe.Sizeof(*new(T)))
	if n*size < hugePage {
		return make([]T, n)
	}
	a := make([]T, n+hugePage/size)
	skip := (-int(uintptr(unsafe.Pointer(&a[0]))) & (hugePage - 1)) / size
	a = a[skip : skip+n]
	whole := unsafe.Slice((*byte)(unsafe.Pointer(&a[0])), n*size&^(hugePage-1))
	unix.Madvise(whole, unix.MADV_HUGEPAGE) // without, it is only slower
	return a
}
