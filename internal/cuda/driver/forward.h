// Opens the NVIDIA driver at run time: see forward.c.
#pragma once

// forward_open opens the library at path, makes every cu* call go to it and
// initialises it. It returns cuInit's CUresult, or -1 if the library cannot be
// opened: then problem holds dlopen's own words.
int forward_open(const char *path, const char **problem);

// forward_standin is true if the opened library says that it is the stand-in.
int forward_standin(void);
