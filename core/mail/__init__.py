"""Mail to people outside: templates, opt-outs, sending.

opt_out.py  who opted out of mail, and the link in a mail by which its receiver does
"""
