"""Mail to people outside: templates, opt-outs, sending.

opt_out.py  who does not want to be contacted, and how a mail lets its receiver say so
"""
