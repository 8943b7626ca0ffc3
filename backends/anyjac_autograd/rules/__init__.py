"""How each function of autograd pulls back many rows at once. Reads graphs of a run; touches no Variable."""
