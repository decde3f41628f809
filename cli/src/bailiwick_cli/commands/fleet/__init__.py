"""`fleet`: several clusters at once. Standing: beside the commands about one."""
